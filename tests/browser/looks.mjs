// What a page looks like, and what it does unasked, in both themes, narrow and wide.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { onEveryPage, VIEWS } from './support/browser.mjs';
import { TROUBLED } from './support/places.mjs';
import { stage } from './support/stage.mjs';

test('no page is wider than 400 px', async () => {
  await onEveryPage(stage, { views: VIEWS.filter(view => view.width === 400) }, async (page, url, where) => {
    await page.goto(url);
    const width = await page.evaluate(() => document.scrollingElement.scrollWidth);
    assert.equal(width, 400, where);
  });
});

test('no page has a script, asks for more than its style or gives the console cause to complain', async () => {
  await onEveryPage(stage, {}, async (page, url, where) => {
    const [complaints, requests] = [complaintsOf(page), requestsOf(page)];
    await page.goto(url);
    assert.equal(await page.locator('script').count(), 0, where);
    assert.deepEqual(complaints, [], where);
    const style = await page.locator('link[rel=stylesheet]').evaluate(link => link.href);
    assert.equal(new URL(style).origin, new URL(url).origin, where);
    assert.deepEqual(requests, [url, style], where);
  });
});

test('what a source that never was up has seen is a dash, and no nought', async () => {
  const page = await stage.browser.newPage();
  await page.goto(`${stage.places[1].url}/projects/${TROUBLED}`);
  const said = await page.locator('.source dl div', { hasText: /^Open/ }).locator('dd').first().textContent();
  assert.equal(said, '–executions');
  await page.close();
});

test('a script that came into a page would not run, and the console would tell of it', async () => {
  const page = await stage.browser.newPage();
  const complaints = complaintsOf(page);
  await page.goto(stage.places[0].url);
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'document.title = "it ran"';
    document.body.append(script);
  });
  assert.equal(await page.title(), 'kapso-exporter');
  assert.match(complaints.join(), /Content Security Policy/);
  await page.close();
});

test('the theme is that of the reader', async () => {
  const lightness = {};
  for (const colorScheme of ['light', 'dark']) {
    const page = await stage.browser.newPage({ colorScheme });
    await page.goto(stage.places[0].url);
    const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    lightness[colorScheme] = Number(/\d+/.exec(colour)[0]);
    await page.close();
  }
  assert.ok(lightness.light > 200 && lightness.dark < 50, JSON.stringify(lightness));
});

// A page that is not there is answered with 404, of which the console tells.
function complaintsOf(page) {
  const complaints = [];
  page.on('console', message => {
    const isItself = message.location().url === page.url() && message.text().includes('404 (Not Found)');
    if (['error', 'warning'].includes(message.type()) && !isItself) complaints.push(message.text());
  });
  page.on('pageerror', error => complaints.push(error.message));
  return complaints;
}

function requestsOf(page) {
  const requests = [];
  page.on('request', request => requests.push(request.url()));
  return requests;
}
