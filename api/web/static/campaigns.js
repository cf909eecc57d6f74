// The page of all campaigns: the list is read again from time to time.
import "./copy.js";
import { refresh } from "./fresh.js";

const PAUSE_MS = 4000;

setInterval(() => document.hidden || refresh(["live"]), PAUSE_MS);
