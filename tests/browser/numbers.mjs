// A number on a page is that of the series that it names.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { scrape, sum } from './support/exposition.mjs';
import { until } from './support/program.mjs';
import { stage } from './support/stage.mjs';

const OF_WORKFLOWS = [
  'kapso_executions',
  'kapso_executions_started_total',
  'kapso_executions_finished_total',
  'kapso_execution_handoffs_total',
];

// Pages that show no project.
const BARE = /nobody|show=problems/;

for (const javaScriptEnabled of [true, false]) {
  const scripts = `scripts ${javaScriptEnabled ? 'allowed' : 'forbidden'}`;

  test(`each number on a page is that of /metrics, ${scripts}`, async () => {
    const page = await stage.browser.newPage({ javaScriptEnabled });
    for (const place of stage.places) {
      for (const path of place.paths) {
        const { cells, series } = await atOneMoment(page, place.url, path);
        assert.ok(cells.length > 0 || BARE.test(path), path);
        assert.deepEqual(cells, cells.map(cell => expected(cell, series)), path);
      }
    }
    await page.close();
  });
}

test('the page of a project leaves out no execution', async () => {
  const page = await stage.browser.newPage();
  for (const [place, project] of [[stage.places[0], 'default'], [stage.places[1], 'p1']]) {
    const { cells, series } = await atOneMoment(page, place.url, `/projects/${project}`);
    for (const name of OF_WORKFLOWS) {
      const shown = cells.filter(cell => cell.metric === name);
      const total = shown.reduce((sum, cell) => sum + (Number(cell.text) || 0), 0);
      assert.ok(total > 0 || name !== 'kapso_executions', project);
      assert.equal(total, sum(series, name, { project }), name);
    }
  }
  await page.close();
});

// The page, and the series that are the same before and after it was loaded.
async function atOneMoment(page, url, path) {
  let cells, series;
  await until(`two scrapes that agree around ${path}`, async () => {
    series = await scrape(url);
    await page.goto(url + path);
    cells = await page.locator('[data-metric]').evaluateAll(read);
    return same(cells, series, await scrape(url));
  });
  return { cells, series };
}

function same(cells, one, other) {
  const names = new Set(cells.map(cell => cell.metric));
  const [told, toldLater] = [one, other].map(all => JSON.stringify(all.filter(({ name }) => names.has(name))));
  return told === toldLater;
}

// Runs in the page. templates/macros.html says where the labels are.
function read(elements) {
  const names = ['project', 'api', 'source', 'workflow-id', 'status', 'step', 'step-type'];
  const label = (element, name) => element.closest(`[data-${name}]`)?.getAttribute(`data-${name}`);
  return elements.map(element => {
    const pairs = names.map(name => [name.replace('-', '_'), label(element, name)]);
    const labels = Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
    return { metric: element.dataset.metric, labels, text: element.textContent.trim() };
  });
}

// Where there is no series the page has a dash.
function expected({ metric, labels }, series) {
  return { metric, labels, text: String(sum(series, metric, labels) ?? '–') };
}
