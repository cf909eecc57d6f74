// The page of all studies: while one of them is active, the list is read again from time to time.
import "./copy.js";
import { find } from "./dom.js";
import { refresh } from "./fresh.js";

const PAUSE_MS = 4000;

find("#show").addEventListener("change", (event) => event.target.form.requestSubmit());

setInterval(() => document.hidden || refresh(["live"]), PAUSE_MS);
