import * as path from 'node:path';
import type { MarkdownRenderer } from 'vitepress';

/** Links to files of the checkout that are no pages of the site: where the documents are read as a site, only their names are of use. */
export function sourceLinks(
  md: MarkdownRenderer,
  { copies, pages }: { readonly copies: string; readonly pages: readonly string[] },
): void {
  md.core.ruler.push('source-links', ({ tokens, env }) => {
    const folder = path.dirname(env.path ?? copies);
    for (const { children } of tokens) {
      let isOpen = false;
      for (const token of children ?? []) {
        if (token.type === 'link_open') {
          const [target = ''] = (token.attrGet('href') ?? '').split('#');
          const file = path.relative(copies, path.resolve(folder, decodeURI(target)));
          isOpen = target !== '' && !/^[a-z]+:/.test(target) && !pages.includes(file);
        }
        if (!isOpen) continue;
        if (token.type === 'link_close') isOpen = false;
        if (token.type.startsWith('link_'))
          Object.assign(token, { type: 'text', tag: '', content: '', nesting: 0, attrs: null });
      }
    }
  });
}
