// `/` goes to the search field of a page; Escape leaves it.
import {$} from './dom.js';

const TYPED = 'input,select,textarea,[contenteditable]';
export const isTyping = event => event.target.matches(TYPED) && event.target.type !== 'checkbox';

addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Escape' && event.target.matches(TYPED)) event.target.blur();
  else if (event.key === '/' && !isTyping(event) && $('q')) {
    event.preventDefault();
    $('q').focus();
    $('q').select();
  }
});

/** Call once the typing has stopped for a moment. */
export function settled(call, wait = 180) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(call, wait, ...values);
  };
}
