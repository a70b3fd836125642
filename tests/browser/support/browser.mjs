// Debian's Chromium, and what is seen in it.

import { chromium } from 'playwright-core';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const WIDTHS = [400, 1400];
export const VIEWS = WIDTHS.flatMap(width => ['light', 'dark'].map(colorScheme => ({ colorScheme, width })));

export function launch() {
  const executablePath = process.env.KAPSO_TEST_CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: ARGUMENTS });
}

/** Looks at each page of each place in each of these views. */
export async function onEveryPage({ browser, places }, { views = VIEWS, ...options }, look) {
  for (const place of places) {
    for (const { colorScheme, width } of views) {
      const page = await browser.newPage({ ...options, colorScheme, viewport: { width, height: 900 } });
      for (const path of place.paths) {
        await look(page, place.url + path, `${path} in ${colorScheme} at ${width} px`);
        await page.removeAllListeners();
      }
      await page.close();
    }
  }
}
