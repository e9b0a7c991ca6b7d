import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { onTestFinished } from 'vitest'

/** The names of Chromium and Chrome; tools/local/setup.sh looks for the same ones. */
const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const APPLICATIONS = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
]

/** Starts a browser without a window. It closes when the running test ends. */
export async function startBrowser(): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    headless: true,
    // Chromium refuses its sandbox to root, and containers lack what the sandbox needs.
    args: ['--no-sandbox', '--disable-dev-shm-usage']
  })
  onTestFinished(() => browser.close())
  return browser
}

function findBrowser(): string {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const places = [...PROGRAMS.flatMap(name => folders.map(folder => join(folder, name))), ...APPLICATIONS]
  const found = places.find(isExecutable)
  if (found === undefined)
    throw new Error('This test needs Chromium or Chrome: run `npm run setup`, or install one of them.')
  return found
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
