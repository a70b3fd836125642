// axe-core finds nothing on any page.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { onEveryPage } from './support/browser.mjs';
import { stage } from './support/stage.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core');

// The policy of the pages forbids scripts, and so axe: it is not in force here.
test('axe finds no fault on any page, contrast included', async () => {
  await onEveryPage(stage, { bypassCSP: true }, async (page, url, where) => {
    await page.goto(url);
    await page.addScriptTag({ path: AXE });
    const { violations, incomplete, passes } = await page.evaluate(run, url.includes('refresh='));
    assert.deepEqual(violations.map(told), [], where);
    // It cannot tell the contrast of a cell that is cut off or spans rows; others have the same colours.
    const doubts = incomplete.filter(rule => rule.id !== 'color-contrast');
    assert.deepEqual(doubts.map(told), [], where);
    assert.ok(passes.some(rule => rule.id === 'color-contrast'), where);
  });
});

function told({ id, help, nodes }) {
  return { id, help, nodes: nodes.map(node => node.html) };
}

// Runs in the page. That it reloads by itself is no fault where its reader asked for that.
function run(reloads) {
  return globalThis.axe.run({ rules: { 'meta-refresh': { enabled: !reloads } } });
}
