// What /metrics says.

const SERIES = /^([a-z_]+)(?:\{(.*)\})? ([^ ]+)$/;
const LABEL = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;

/** The series, each with its name, labels and value. */
export async function scrape(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text.split('\n').map(line => SERIES.exec(line)).filter(found => found).map(series);
}

function series([, name, labels = '', value]) {
  const pairs = [...labels.matchAll(LABEL)].map(([, label, text]) => [label, unescape(text)]);
  return { name, labels: Object.fromEntries(pairs), value: Number(value) };
}

function unescape(text) {
  return text.replace(/\\(.)/g, (_, letter) => (letter === 'n' ? '\n' : letter));
}

/** The sum of the series with this name and these labels; `null` if there is none. */
export function sum(series, name, labels) {
  const isMeant = one => Object.entries(labels).every(([label, value]) => one.labels[label] === value);
  const meant = series.filter(one => one.name === name && isMeant(one));
  return meant.length === 0 ? null : meant.reduce((total, one) => total + one.value, 0);
}
