// Words and numbers in the language of the page.
import {given} from './dom.js';

const WORDS = given('words');
export const lang = document.documentElement.lang;

/** The text of a key; `{n}` are places for values. */
export const t = (key, values) => (WORDS[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values?.[name] ?? '');
export const known = key => key in WORDS;

const whole = new Intl.NumberFormat(lang, {maximumFractionDigits: 0});
const one = new Intl.NumberFormat(lang, {minimumFractionDigits: 1, maximumFractionDigits: 1});
const any = new Intl.NumberFormat(lang, {maximumFractionDigits: 8});
export const num = value => whole.format(value);
export const decimal = value => one.format(value);
export const exact = value => (typeof value === 'number' ? any.format(value) : String(value ?? '–'));
/** A share as a percentage, never rounded up to 100 %. */
export const pct = share => (share >= 1 ? '100' : (Math.floor(share * 1000) / 10).toFixed(1)) + '%';

/** Milliseconds since 1970 of an ISO instant, with microseconds cut off. */
export const millis = iso => Date.parse(iso);
export const day = ms => new Date(ms).toISOString().slice(0, 10);
export const minute = ms => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
/** A day, with the time where the span is short. */
export const instant = (ms, span) => (span <= 3 * 864e5 ? minute(ms) : day(ms));
export const clockTime = ms => new Date(ms).toISOString().slice(11, 23);

/** A length of time in the two largest units: `2h 05m`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !isFinite(seconds)) return '–';
  const [D, H, M, S] = t('unit.dhms').split('|');
  const d = Math.floor(seconds / 86400), h = Math.floor(seconds / 3600) % 24, m = Math.floor(seconds / 60) % 60;
  const two = value => String(Math.floor(value)).padStart(2, '0');
  if (d) return `${num(d)}${D} ${two(h)}${H}`;
  if (h) return `${h}${H} ${two(m)}${M}`;
  return m ? `${m}${M} ${two(seconds % 60)}${S}` : `${Math.max(0, Math.floor(seconds))}${S}`;
}

export function bytes(count) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let i = 0;
  for (; count >= 1000 && i < units.length - 1; i++) count /= 1024;
  return [i ? decimal(count) : num(count), units[i]];
}
