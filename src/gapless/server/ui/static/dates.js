// Dates are typed as ISO text: a native date input would follow the browser's language, not the page's. The button
// beside the field opens the native calendar.
import {all} from './dom.js';

for (const field of all('.date')) {
  const [text, button, native] = ['input.in', 'button', 'input[type=date]'].map(one => field.querySelector(one));
  button.addEventListener('click', () => {
    native.value = /^\d{4}-\d{2}-\d{2}$/.test(text.value) ? text.value : '';
    native.showPicker();
  });
  native.addEventListener('change', () => {
    text.value = native.value;
    text.dispatchEvent(new Event('input', {bubbles: true}));
  });
}
