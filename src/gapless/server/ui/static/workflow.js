// What the pages of templates and schedules share: rows with buttons, and a form that keeps what was typed.
import {$, confirmed, html, icon, say, toast} from './dom.js';
import {api} from './api.js';
import {t} from './text.js';

/** A button of a row: `verb` is what it does, `words` what it is called for everybody. */
export const button = (verb, name, words, picture) =>
  html`<button class="btn ico" data-verb="${verb}" data-name="${name}" aria-label="${words}: ${name}" title="${words}">${icon(picture)}</button>`;

export const none = (columns, words) => html`<tr><td colspan="${columns}" class="mut wrap">${words}</td></tr>`;

/** Listen to the buttons of a table: `verbs[verb](name)` acts, then `load` shows what has become of it. */
export function act(table, verbs, load) {
  table.addEventListener('click', async event => {
    const {verb, name} = event.target.closest('[data-verb]')?.dataset ?? {};
    if (!verb) return;
    const focused = `[data-verb="${verb}"][data-name="${CSS.escape(name)}"]`;
    await verbs[verb](name).catch(() => null);
    await load().catch(() => null);
    table.querySelector(focused)?.focus();
  });
}

/** Run something, and say which job it became. */
export async function run(path) {
  const job = await api(path, {method: 'POST'});
  toast(t('workflow.runs', {id: job.id}));
}

/** Forget something after a question. */
export async function forget(path, question) {
  if (await confirmed(question, t('workflow.remove'), t('confirm.no'))) await api(path, {method: 'DELETE'});
}

/** Send a form with `send(data)`, then `load(answer)`; a refusal is shown beside its field, and what was typed stays. */
export function onSave(form, send, load) {
  form.addEventListener('submit', async event => {
    event.preventDefault();
    form.querySelectorAll('[aria-invalid]').forEach(one => one.removeAttribute('aria-invalid'));
    $('wrong').hidden = true;
    let made;
    try {
      made = await send(new FormData(form));
    } catch (error) {
      const name = (error.field ?? '').split('.').at(-1), field = {from: 'start', to: 'end'}[name] ?? name;
      say($('wrong'), error.message);
      $('wrong').hidden = false;
      const place = field && form.elements.namedItem(field);
      place?.setAttribute?.('aria-invalid', 'true');
      place?.focus?.();
      return;
    }
    if ($('name')) $('name').value = '';
    toast(t('workflow.saved'));
    await load(made).catch(() => null);
  });
}
