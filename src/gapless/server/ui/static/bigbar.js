// The large double-ended bar of one job: oldest on the left, newest on the right, what is left in the middle.
import {html, putSvg} from './dom.js';
import {day, duration, instant, millis, t} from './text.js';
import {frontiers} from './jobview.js';

const TOP = 30;
const TALL = 26;
const DONE = new Set(['done', 'incomplete']);

/** Draw the bar: both ends, stretches in between that are done already, what was given up. */
export function bigBar(svg, job) {
  const width = svg.clientWidth;
  if (!width) return;
  const told = frontiers(job);
  svg.setAttribute('aria-label', told.text);
  if (job.end === null) return putSvg(svg, standing(job, width));
  const left = width * job.forward, right = width * (1 - job.backward), isOpen = right - left > 1 && job.percent < 100;
  const fade = job.state === 'paused' || job.state === 'cancelled' ? .5 : 1;
  const colours = DONE.has(job.state) ? ['var(--done)', 'var(--done)'] : ['var(--fwd)', 'var(--bwd)'];
  putSvg(svg, html`<defs><clipPath id="round"><rect x="0" y="${TOP}" width="${width}" height="${TALL}" rx="6"/></clipPath></defs>
    <g clip-path="url(#round)"><rect x="0" y="${TOP}" width="${width}" height="${TALL}" fill="var(--track)"/>
      ${isOpen && between(job, width, left, right)}
      <rect x="0" y="${TOP}" width="${left}" height="${TALL}" opacity="${fade}" fill="${colours[0]}"/>
      <rect x="${right}" y="${TOP}" width="${Math.max(0, width - right)}" height="${TALL}" opacity="${fade}" fill="${colours[1]}"/>
      ${lost(job, told, width)}</g>
    ${isOpen && fronts(told, left, right, width)}
    <text class="edge" x="0" y="${TOP + TALL + 20}">${instant(told.start, told.span)}</text>
    <text class="edge" x="${width}" y="${TOP + TALL + 20}" text-anchor="end">${instant(told.end, told.span)}</text>`);
}

const standing = (job, width) => html`<rect x="0" y="${TOP}" width="${width}" height="${TALL}" rx="6" fill="var(--fwd)" opacity="${job.state === 'running' ? 1 : .5}"/>
  <text class="edge" x="0" y="${TOP + TALL + 20}">${day(millis(job.start))}</text>
  <text class="front" x="${width}" y="18" text-anchor="end">${t('job.standing')}</text>`;

/** Shares of stretches between both ends that are there already: what other jobs have fetched, and stolen parts. */
function between(job, width, left, right) {
  const bar = job.bar ?? [], wide = width / (bar.length || 1);
  return bar.map((share, i) => {
    const from = Math.max(left, i * wide), to = Math.min(right, (i + 1) * wide);
    return share > 0.02 && to > from && html`<rect x="${from}" y="${TOP}" width="${to - from}" height="${TALL}" opacity="${(share * .6).toFixed(2)}" fill="var(--c-fill)"/>`;
  });
}

const lost = (job, told, width) => (job.quarantine ?? []).map(one => {
  const from = (millis(one.start) - told.start) / told.span * width, wide = Math.max(3, (millis(one.end) - millis(one.start)) / told.span * width);
  return html`<rect x="${from - 1}" y="${TOP}" width="${wide + 2}" height="${TALL}" fill="var(--surface)"/>
    <rect x="${from}" y="${TOP}" width="${wide}" height="${TALL}" fill="var(--c-fail)"><title>${one.series}: ${one.reason}</title></rect>`;
});

function fronts(told, left, right, width) {
  const rest = (right - left) / width * told.span / 1000;
  // The dates stand outside the open middle, and keep clear of each other and of the edges.
  const before = left > 110, after = width - right > 110;
  return html`<path d="M${left} ${TOP - 4}v${TALL + 8}M${right} ${TOP - 4}v${TALL + 8}" stroke="var(--text)" stroke-width="1.5" fill="none"/>
    <text class="front" x="${before ? left : Math.max(0, left)}" y="18" text-anchor="${before ? 'end' : 'start'}">${told.first} →</text>
    <text class="front" x="${Math.min(width, right)}" y="18" text-anchor="${after ? 'start' : 'end'}">← ${told.last}</text>
    ${told.isOne && right - left > 120 && html`<text x="${(left + right) / 2}" y="${TOP + TALL / 2 + 4}" text-anchor="middle">${t('job.left', {x: duration(rest)})}</text>`}`;
}
