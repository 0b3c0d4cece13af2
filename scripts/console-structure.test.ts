import { expect, it } from 'vitest';
import { checkConsole } from './console-structure.ts';

const check = (file: string, text: string) =>
  checkConsole(new Map([[`console/src/${file}`, text]])).map(({ rule }) => rule);

it.each([
  ['api/client.ts', "import { api } from '@countersign/sdk/browser';"],
  ['features/a/a-page.tsx', "import { useCall } from '../../api/index.ts';\nimport { x } from './b.ts';"],
  ['main.tsx', "import { App } from './app/app.tsx';"],
  ['api/client.ts', "fetch('/x');"],
])('%s may say %j', (file, text) => {
  expect(check(file, text)).toEqual([]);
});

it.each([
  ['features/a/a-page.tsx', "import { x } from '@countersign/sdk/browser';"],
  ['api/client.ts', "import { x } from '@countersign/sdk/client';"],
  ['api/client.ts', "import { x } from 'node:fs';"],
  ['api/client.ts', "import { x } from '../../../src/std/index.ts';"],
  ['features/a/a-page.tsx', "import { x } from '../b/b.ts';"],
  ['features/a/a-page.tsx', "import { x } from '../../app/shell.tsx';"],
  ['features/a/a-page.tsx', "import { x } from '../../ui/button.tsx';"],
  ['ui/button.tsx', "import { x } from '../api/index.ts';"],
  ['app/shell.tsx', "import { x } from '../features/a/page.ts';"],
])('%s may not import: %s', (file, text) => {
  expect(check(file, text)).toEqual(['console']);
});

it.each([
  ['features/a/a.tsx', '<p dangerouslySetInnerHTML={{ __html: text }} />'],
  ['features/a/a.tsx', "await fetch('/v1/targets');"],
  ['features/a/a.tsx', "new EventSource('/v1/session-events')"],
  ['ui/a.tsx', '<style>{css}</style>'],
  ['ui/a.tsx', 'const now = Date.now();'],
  ['ui/a.tsx', 'element.innerHTML = text;'],
])('%s may not say %s', (file, text) => {
  expect(check(file, text)).toEqual(['banned']);
});
