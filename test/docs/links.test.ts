/** Links between documents lead somewhere. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { anchorsOf, documents, linksOf, ROOT, readDocument } from './markdown.ts';

describe('links', () => {
  it.each(documents().map((document) => [document.file, document] as const))('of %s resolve', (file, document) => {
    const broken = linksOf(document)
      .filter((target) => !/^(https?|mailto):/.test(target))
      .filter((target) => {
        const [name = '', anchor] = target.split('#');
        const to = name === '' ? file : path.join(path.dirname(file), name);
        if (!fs.existsSync(path.join(ROOT, to))) return true;
        return anchor !== undefined && !anchorsOf(readDocument(to)).has(anchor);
      });
    expect(broken).toEqual([]);
  });

  it('of decisions and reference pages resolve too', () => {
    const broken = ['docs/decisions', 'docs/reference'].flatMap((folder) =>
      fs.globSync('*.md', { cwd: path.join(ROOT, folder) }).flatMap((name) => {
        const document = readDocument(path.join(folder, name));
        const missing = linksOf(document).filter(
          (target) => !/^https?:/.test(target) && !fs.existsSync(path.join(ROOT, folder, target.split('#')[0] ?? '')),
        );
        return missing.map((target) => `${document.file}: ${target}`);
      }),
    );
    expect(broken).toEqual([]);
  });
});
