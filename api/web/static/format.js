// Numbers and durations as people read them; api/web/words.py does the same on the server.
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];
const SUFFIXES = [[1e12, "T"], [1e9, "B"], [1e6, "M"]];

export function number(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1e4 && Math.abs(value) < 1e7) return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  if (Number.isInteger(value) && Math.abs(value) < 1e4) return String(value);
  if (Math.abs(value) >= 1e7 && Math.abs(value) < 1e15) {
    const [size, suffix] = SUFFIXES.find(([from]) => Math.abs(value) >= from);
    return `${trimmed(value / size)}${suffix}`;
  }
  return trimmed(value);
}

function trimmed(value) {
  const text = value.toPrecision(4);
  return text.includes("e") ? text.replace(/\.?0+e/, "e") : text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  const place = UNITS.findIndex(([size]) => seconds >= size);
  const [size, unit] = UNITS[place];
  const rest = UNITS[place + 1];
  const more = rest && seconds % size >= rest[0] ? ` ${Math.floor((seconds % size) / rest[0])} ${rest[1]}` : "";
  return `${Math.floor(seconds / size)} ${unit}${more}`;
}

export const plain = (name) => name.replaceAll("_", " ");

/** A whole number from "10M", "1.5e9" or "2000000"; null when it is none. */
export function count(text) {
  const match = /^\s*([\d.]+(?:e\d+)?)\s*([kMBT]?)\s*$/i.exec(text);
  if (!match) return null;
  const factors = { "": 1, k: 1e3, m: 1e6, b: 1e9, t: 1e12 };
  const value = Math.round(Number(match[1]) * factors[match[2].toLowerCase()]);
  return Number.isSafeInteger(value) && value > 0 ? value : null;
}
