// Theme, language and candle colours: kept in cookies, so that the server can draw the page right at once.
import {$} from './dom.js';

const root = document.documentElement;
const redraws = [];
export const onTheme = redraw => redraws.push(redraw);
/** The value of a colour token, for canvases. */
export const colour = name => getComputedStyle(root).getPropertyValue('--' + name).trim();

export const remember = (name, value) => { document.cookie = `${name}=${value};path=/;max-age=31536000;samesite=lax`; };

/** `light`, `dark`, or `auto`: as the system has it. */
export function setTheme(choice) {
  remember('theme', choice);
  const dark = choice === 'dark' || (choice === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
  root.dataset.theme = dark ? 'dark' : 'light';
  redraws.forEach(redraw => redraw());
}

export function setCandles(choice) {
  remember('candles', choice);
  root.dataset.candles = choice;
  redraws.forEach(redraw => redraw());
}

$('theme')?.addEventListener('click', () => setTheme(root.dataset.theme === 'dark' ? 'light' : 'dark'));
