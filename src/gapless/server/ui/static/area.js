// A small area chart of the last values of a rate, drawn as SVG.
import {html, putSvg} from './dom.js';
import {num, t} from './text.js';

const LEFT = 44;
const BELOW = 22;
const STEPS = [1, 2, 5];

/** The first of 1, 2, 5, 10, 20 … that gives at most four lines. */
function stepFor(top) {
  for (let size = 0.1; ; size *= 10) {
    const found = STEPS.find(step => top / (step * size) <= 4);
    if (found) return found * size;
  }
}

/** Draw `values`, the newest last; `room` are the values that the width holds, `seconds` the time they span. */
export function area(svg, values, {room, seconds, height = 140}) {
  const width = svg.clientWidth, top = Math.max(1, ...values) * 1.15;
  if (!width) return;
  const X = i => LEFT + i / (room - 1) * (width - LEFT), Y = value => 8 + (1 - value / top) * (height - 8 - BELOW);
  const lines = [];
  for (let value = 0; value < top; value += stepFor(top)) lines.push(value);
  const from = room - values.length;
  const points = values.map((value, i) => `${X(i + from).toFixed(1)},${Y(value).toFixed(1)}`).join(' ');
  const ticks = [1, .75, .5, .25, 0].map(share => ({x: LEFT + (1 - share) * (width - LEFT), share}));
  putSvg(svg, html`${lines.map(value => html`<line x1="${LEFT}" x2="${width}" y1="${Y(value)}" y2="${Y(value)}" stroke="var(--line)"/>
      <text x="${LEFT - 8}" y="${Y(value) + 4}" text-anchor="end">${value < 1 && value ? value.toFixed(1) : num(value)}</text>`)}
    ${values.length > 1 && html`<polygon points="${X(from)},${Y(0)} ${points} ${width},${Y(0)}" fill="var(--fwd)" opacity=".12"/>
      <polyline points="${points}" fill="none" stroke="var(--fwd)" stroke-width="1.6"/>`}
    ${ticks.map(({x, share}) => html`<text x="${x}" y="${height - 4}" text-anchor="${share === 1 ? 'start' : share ? 'middle' : 'end'}">${share ? `−${Math.round(seconds * share)}s` : t('job.now')}</text>`)}`);
}
