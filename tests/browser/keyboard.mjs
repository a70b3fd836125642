// The pages are used without a mouse, and without scripts.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WIDTHS } from './support/browser.mjs';
import { RECOVERED, TROUBLED } from './support/places.mjs';
import { stage } from './support/stage.mjs';

for (const width of WIDTHS) {
  test(`Tab reaches everything in order, and one sees where one is, at ${width} px`, async () => {
    const page = await stage.browser.newPage({ viewport: { width, height: 900 } });
    for (const place of stage.places) {
      for (const path of place.paths) {
        await page.goto(place.url + path);
        const count = await page.evaluate(number);
        for (let expected = 0; expected < count; expected += 1) {
          await page.keyboard.press('Tab');
          const { reached, element, fault } = await page.evaluate(focused);
          assert.equal(reached, expected, `${path}: ${element}`);
          assert.equal(fault, '', `${path}: ${element}`);
        }
        assert.ok(count > 5, path);
      }
    }
    await page.close();
  });
}

for (const javaScriptEnabled of [true, false]) {
  const scripts = `scripts ${javaScriptEnabled ? 'allowed' : 'forbidden'}`;

  test(`projects are searched, sorted and selected by keyboard, and the URL says how, ${scripts}`, async () => {
    const page = await stage.browser.newPage({ javaScriptEnabled });
    await page.goto(stage.places[1].url);
    await use(page, page.getByRole('searchbox'), 'P4');
    assert.equal(query(page), '?q=P4');
    const found = ['p4', 'p40', 'p41', 'p42', 'p43', 'p44', 'p45', 'p46', 'p47', 'p48', 'p49'];
    assert.deepEqual(await names(page), found);
    assert.equal(await page.getByRole('searchbox').inputValue(), 'P4');

    await use(page, page.getByRole('searchbox'), '');
    await use(page, page.getByRole('link', { name: 'problems first' }));
    assert.equal(query(page), '?sort=problems');
    const sorted = await names(page);
    assert.deepEqual([sorted.length, sorted[0]], [50, TROUBLED]);
    assert.equal(await current(page, 'Sort by'), 'problems first');

    await use(page, page.getByRole('link', { name: 'problems only' }));
    assert.equal(query(page), '?sort=problems&show=problems');
    assert.deepEqual(await names(page), [TROUBLED]);

    await page.goBack();
    assert.equal((await names(page)).length, 50);
    await page.close();
  });

  test(`workflows are searched and sorted by keyboard, and the URL says how, ${scripts}`, async () => {
    const page = await stage.browser.newPage({ javaScriptEnabled });
    await page.goto(`${stage.places[0].url}/projects/default`);
    await use(page, page.getByRole('link', { name: 'most open' }));
    assert.equal(query(page), '?sort=open');
    const open = await page.locator('tbody tr[data-workflow-id]').evaluateAll(openInEach);
    assert.deepEqual(open, [...open].sort((a, b) => b - a));
    assert.ok(new Set(open).size > 1, `${open}`);

    await use(page, page.getByRole('searchbox'), 'agent-');
    assert.equal(query(page), '?q=agent-&sort=open');
    const rows = await page.locator('tbody th a').allTextContents();
    assert.deepEqual(rows.sort(), ['agent-billing', 'agent-sales', 'agent-support']);

    await use(page, page.getByRole('link', { name: 'agent-sales' }));
    assert.equal(await page.locator('h1').textContent(), 'agent-sales');
    await page.close();
  });
}

test('the last failure of a source that is well again is unfolded by keyboard, scripts forbidden', async () => {
  const page = await stage.browser.newPage({ javaScriptEnabled: false });
  await page.goto(`${stage.places[1].url}/projects/${RECOVERED}`);
  const advice = page.getByText('Kapso refuses the API key');
  assert.equal(await advice.isVisible(), false);
  await reach(page, page.locator('summary'));
  await page.keyboard.press('Enter');
  await advice.waitFor();
  await page.close();
});

test('a reader may skip to the content', async () => {
  const page = await stage.browser.newPage();
  for (const place of stage.places) {
    await page.goto(place.url);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    const isInside = await page.evaluate(() => document.querySelector('main').contains(document.activeElement));
    assert.ok(isInside);
  }
  await page.close();
});

// Goes to an element with Tab.
async function reach(page, element) {
  const isThere = () => element.evaluate(wanted => wanted === document.activeElement);
  for (let tabs = 0; !(await isThere()); tabs += 1) {
    assert.ok(tabs < 300, `Tab does not reach ${element}`);
    await page.keyboard.press('Tab');
  }
}

// Goes to an element, writes what there is to write, and presses Enter.
async function use(page, element, text) {
  await reach(page, element);
  if (text !== undefined) {
    await page.keyboard.press('Control+A');
    await page.keyboard.press('Delete');
    await page.keyboard.type(text);
  }
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
}

const query = page => new URL(page.url()).search;
const names = page => page.locator('h2 a').allTextContents();
const current = (page, words) => page.locator('p', { hasText: words }).locator('[aria-current]').textContent();

// The rest runs in the page.

function openInEach(rows) {
  const count = (row, status) => Number(row.querySelector(`[data-status=${status}]`).textContent) || 0;
  const open = ['running', 'waiting', 'handoff', 'unknown'];
  return rows.map(row => open.reduce((sum, status) => sum + count(row, status), 0));
}

// Numbers what can be used, in the order of the page, and says how much that is.
function number() {
  const usable = document.querySelectorAll('a[href], button, input:not([type=hidden]), summary, [tabindex="0"]');
  const visible = [...usable].filter(element => element.checkVisibility());
  visible.forEach((element, place) => (element.dataset.place = place));
  return visible.length;
}

// Which of them has the focus, and what hinders one from seeing that: the frame around it must be wide and uncut.
function focused() {
  const element = document.activeElement;
  const { outlineStyle, outlineWidth, outlineOffset } = getComputedStyle(element);
  const margin = parseFloat(outlineWidth) + parseFloat(outlineOffset);
  const inner = element.getBoundingClientRect();
  const frame = { left: inner.left - margin, top: inner.top - margin, bottom: inner.bottom + margin };
  let fault = outlineStyle === 'none' || parseFloat(outlineWidth) < 2 ? 'no frame' : '';
  for (let around = element.parentElement; around; around = around.parentElement) {
    const cuts = getComputedStyle(around).overflowX !== 'visible';
    const box = around.getBoundingClientRect();
    if (cuts && (frame.left < box.left || frame.top < box.top || frame.bottom > box.bottom)) fault = 'cut off';
  }
  if (inner.bottom < 0 || inner.top > innerHeight || inner.right < 0 || inner.left > innerWidth) fault = 'out of sight';
  return { reached: Number(element.dataset.place ?? NaN), element: element.outerHTML.slice(0, 200), fault };
}
