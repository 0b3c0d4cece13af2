/** The documents of the repository, as the tests of this folder read them: fenced blocks, links, headings. */
import * as fs from 'node:fs';
import * as path from 'node:path';

export const ROOT = path.join(import.meta.dirname, '../..');

/** One fenced block. */
export interface Block {
  /** Path from the repository's root. */
  readonly file: string;
  /** Of its first line of text, from 1. */
  readonly line: number;
  /** First word behind the fence: `sh`, `yaml`, …; empty when there is none. */
  readonly language: string;
  /** What follows it: `no-run: needs systemd`, `dba`, … */
  readonly info: string;
  readonly text: string;
}

/** A document's text without its fenced blocks, and these. */
export interface Document {
  readonly file: string;
  readonly prose: string;
  readonly blocks: readonly Block[];
}

/** README.md, CONTRIBUTING.md and what lies below docs/ and examples/, but for what is generated and the decisions. */
export function documents(): Document[] {
  const below = ['docs', 'examples'].flatMap((folder) =>
    fs
      .readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => path.join(folder, name)),
  );
  const written = below.filter((file) => !/^docs\/(reference|decisions)\//.test(file));
  return ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', ...written.toSorted()].map(readDocument);
}

/** One document. @throws Error when a fence is not closed */
export function readDocument(file: string): Document {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { fence: string; language: string; info: string; line: number; lines: string[] } | undefined;
  const lines = fs.readFileSync(path.join(ROOT, file), 'utf8').split('\n');
  for (const [index, line] of lines.entries()) {
    const [, fence = '', rest = ''] = /^\s*(`{3,})(.*)$/.exec(line) ?? [];
    if (open === undefined && fence !== '') {
      const [, language = '', info = ''] = /^(\S*)\s*(.*)$/.exec(rest.trim()) ?? [];
      open = { fence, language, info, line: index + 2, lines: [] };
    } else if (open !== undefined && fence.startsWith(open.fence) && rest.trim() === '') {
      const { language, info } = open;
      blocks.push({ file, line: open.line, language, info, text: `${open.lines.join('\n')}\n` });
      open = undefined;
    } else if (open !== undefined) open.lines.push(line);
    else prose.push(line);
  }
  if (open !== undefined) throw new Error(`${file}:${open.line - 1}: this fence is not closed`);
  return { file, prose: prose.join('\n'), blocks };
}

/** `[text](target)` of a document, code spans left out. */
export function linksOf(document: Document): string[] {
  const text = document.prose.replaceAll(/`[^`\n]*`/g, (span) => (span.includes('](') ? '' : span));
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** The names by which a link can reach the headings of a file, as code hosts make them. */
export function anchorsOf(document: Document): ReadonlySet<string> {
  const headings = [...document.prose.matchAll(/^#{1,6}\s+(.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(/\s/g, '-'),
    ),
  );
}
