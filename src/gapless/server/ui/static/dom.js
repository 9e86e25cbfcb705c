// The one place where text becomes markup: `html` escapes every value that is not markup itself.

const ENTITIES = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;'};

class Markup {
  constructor(text) { this.text = text; }
}

function written(value) {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(written).join('');
  if (value === null || value === undefined || value === false) return '';
  return String(value).replace(/[&<>"']/g, character => ENTITIES[character]);
}

/** html`<b>${name}</b>`: markup whose values are escaped; nested markup and lists of it pass. */
export function html(parts, ...values) {
  return new Markup(parts.reduce((text, part, i) => text + written(values[i - 1]) + part));
}

function parsed(markup) {
  const template = document.createElement('template');
  template.innerHTML = markup.text;
  return template.content;
}

/** Replace what is inside `node`. */
export function put(node, markup) {
  node.replaceChildren(parsed(markup));
  return node;
}

/** A new element. */
export function make(markup) {
  return parsed(markup).firstElementChild;
}

/** Replace what is inside an SVG element. */
export function putSvg(node, markup) {
  node.replaceChildren(...parsed(html`<svg>${markup}</svg>`).firstElementChild.childNodes);
}

/** Rows need a table around them to be parsed. */
export function makeRow(markup) {
  return parsed(html`<table><tbody>${markup}</tbody></table>`).querySelector('tr');
}

/** Touch the document only when the text has changed: live pages call this all the time. */
export function say(node, text) {
  if (node.__said !== text) node.textContent = node.__said = text;
}

export const $ = id => document.getElementById(id);
export const all = (selector, within = document) => [...within.querySelectorAll(selector)];
export const icon = (name, size = 16) => html`<svg width="${size}" height="${size}" aria-hidden="true"><use href="#${name}"/></svg>`;
export const given = id => JSON.parse($(id).textContent);

/** A sentence in the corner that goes away by itself; screen readers hear it at once. */
export function toast(text) {
  document.querySelectorAll('.toast').forEach(old => old.remove());
  const box = document.body.appendChild(make(html`<div class="toast" role="alert">${text}</div>`));
  setTimeout(() => box.remove(), 6000);
}

/** Ask before what cannot be undone; true means yes. */
export function confirmed(question, yes, no) {
  const dialog = document.body.appendChild(make(html`<dialog aria-labelledby="asked"><p id="asked">${question}</p>
    <form method="dialog" class="tools"><button class="btn" value="no">${no}</button><button class="btn dng" value="yes">${yes}</button></form></dialog>`));
  return new Promise(answer => {
    dialog.addEventListener('close', () => { answer(dialog.returnValue === 'yes'); dialog.remove(); });
    dialog.showModal();
  });
}
