// The command that does the same as a form: what the page can do, the command line can do.

const plain = /^[\w@%+=:,./-]+$/;
const quoted = word => (plain.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** `gapless fill …` of a wish; only what differs from the default is said. */
export function fillCommand(wish) {
  const words = ['gapless fill', wish.dataset, ...(wish.series.length ? wish.series.map(quoted) : ['…'])];
  const options = [
    wish.start && `--from ${quoted(wish.start)}`, wish.end && `--to ${quoted(wish.end)}`,
    wish.report && `--report ${quoted(wish.report)}`, wish.mode !== 'missing' && `--mode ${wish.mode}`,
    wish.recheck && `--recheck ${wish.recheck}`, wish.direction !== 'both' && `--direction ${wish.direction}`,
    wish.priority !== 'normal' && `--priority ${wish.priority}`, wish.rate && `--rate ${wish.rate}`,
    wish.name && `--name ${quoted(wish.name)}`, wish.autoStart === false && '--hold',
  ].filter(Boolean);
  return words.join(' ') + options.map((option, i) => (i % 2 ? ' ' : ' \\\n  ') + option).join('');
}
