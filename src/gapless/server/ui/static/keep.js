// A wish kept as a template: the form beside the plan asks only for its name, the rest is what the page says.
import {$, say, toast} from './dom.js';
import {api} from './api.js';
import {t} from './text.js';

/** The settings of a template: `days`, where given, count back from each run and stand for the dates. */
function settings({autoStart, start, end, ...said}, days, before) {
  const span = days ? {days: Number(days) || days} : {start, end}, {params} = before?.settings ?? {};
  return Object.fromEntries(Object.entries({...said, ...span, params}).filter(([, value]) => value));
}

/**
 * Listen to the form. `before` is the template that filled the page in, saved anew under the same name; `wish()` reads
 * the page; `mark(error, words)` marks the field of the page that an error names.
 */
export function keepTemplate(before, wish, mark) {
  const form = $('keep-form'), name = $('keep-name'), days = $('keep-days');
  const isSame = () => Boolean(before) && name.value.trim() === before.name;
  const tell = () => say($('keep-told'), isSame() ? t('keep.again', {name: before.name}) : '');
  // What is typed here is no part of the wish: the plan stays as it is.
  $('keep').addEventListener('input', event => { event.stopPropagation(); tell(); });
  tell();

  form.addEventListener('submit', async event => {
    event.preventDefault();
    [name, days].forEach(field => field.removeAttribute('aria-invalid'));
    $('keep-wrong').hidden = true;
    const said = {settings: settings(wish(), days.value.trim(), before), then: before?.then ?? []};
    const place = encodeURIComponent(name.value.trim());
    $('keep-go').disabled = true;
    try {
      before = isSame()
        ? await api('/templates/' + place, {body: said, method: 'PUT', quiet: true})
        : await api('/templates', {body: {...said, name: name.value.trim()}, quiet: true});
      tell();
      toast(t('keep.done', {name: before.name}));
    } catch (error) {
      say($('keep-wrong'), error.message);
      $('keep-wrong').hidden = false;
      blame(error);
    } finally {
      $('keep-go').disabled = false;
    }
  });

  function blame(error) {
    const word = error.field.split('.').at(-1), field = {name, days}[word];
    if (error.field.startsWith('settings.name')) return mark({field: 'name'}, 'keep-wrong');
    if (!field) return mark({field: word}, 'keep-wrong');
    field.setAttribute('aria-invalid', 'true');
    field.focus();
  }
}
