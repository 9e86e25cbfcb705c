// How a span of time is written in an address and in a form: bare dates and years name whole periods (end included).
const DAY = 864e5;
const iso = ms => new Date(ms).toISOString();

/** `{start, end}` as the form for a new backfill wants them. */
export function spanWords(dataset, from, to) {
  // Fiscal years begin at midnight in the dataset's zone: half a day inside the year the date is the same everywhere.
  if (dataset?.hasUnits) return {start: iso(from + DAY).slice(0, 4), end: iso(Math.max(from + DAY, to - DAY)).slice(0, 4)};
  if (dataset?.zone === 'UTC' && from % DAY === 0 && to % DAY === 0) return {start: iso(from).slice(0, 10), end: iso(to - DAY).slice(0, 10)};
  return {start: iso(from).slice(0, 19) + 'Z', end: iso(to).slice(0, 19) + 'Z'};
}
