import { sha256 } from '../../../std/index.ts';

/** A text of a page; whatever is put into it by `html` is text, not markup, unless it is such a text itself. */
export interface Html {
  readonly markup: string;
}

/** Writes markup with values in it. */
export function html(texts: TemplateStringsArray, ...values: readonly (string | Html)[]): Html {
  const markup = texts.map((text, index) => `${text}${shown(values[index] ?? '')}`).join('');
  return { markup };
}

/** A whole page. `refresh`: where the browser goes on to by itself, which is then a request of this site's own. */
export function pageOf(
  title: string,
  body: Html,
  options: { readonly refresh?: string; readonly script?: 'link' } = {},
): string {
  const refresh =
    options.refresh === undefined ? '' : `<meta http-equiv="refresh" content="0;url=${escaped(options.refresh)}">`;
  const script = options.script === undefined ? '' : `<script>${LINK_SCRIPT}</script>`;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${refresh}<title>${escaped(title)} · Countersign</title><style>${STYLE}</style></head><body><main><h1>${escaped(title)}</h1>${body.markup}</main>${script}</body></html>`;
}

/** What a browser shows of a failure. */
export function failurePage({
  title,
  detail,
  remedy,
  code,
  request,
}: {
  title: string;
  detail: string;
  remedy: string;
  code: string;
  request: string;
}): string {
  return pageOf(
    'That did not work',
    html`<p>${title}</p><p>${detail}</p><p>${remedy}</p><p><small>${code} · request ${request}</small></p><p><a href="/sign-in">To the sign-in page</a></p>`,
  );
}

/** Headers of every page: nothing is loaded, framed or kept, and forms lead to this server, or to `formTo` besides. */
export function pageHeaders(formTo = ''): Readonly<Record<string, string>> {
  return {
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    // Without a referrer browsers would say of forms that they come from nowhere.
    'referrer-policy': 'same-origin',
    'content-security-policy': `default-src 'none'; style-src '${hashOf(STYLE)}'; script-src '${hashOf(LINK_SCRIPT)}'; form-action 'self'${formTo === '' ? '' : ` ${formTo}`}; frame-ancestors 'none'; base-uri 'none'`,
  };
}

function shown(value: string | Html): string {
  return typeof value === 'string' ? escaped(value) : value.markup;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function hashOf(text: string): string {
  return `sha256-${sha256(Buffer.from(text)).toString('base64')}`;
}

const STYLE =
  ':root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}main{max-width:34rem;margin:15vh auto 0;padding:0 1rem}h1{font-size:1.5rem}button{font:inherit;padding:.4rem 1rem}code{font-size:1.1em}form{display:inline-block;margin:.5rem .5rem .5rem 0}';
/** What stands behind the # is sent to no server by itself: the form carries it once somebody wants to sign in, and the browser's history loses it. */
const LINK_SCRIPT =
  "const s=location.hash.slice(1);history.replaceState(null,'',location.pathname);const f=document.forms[0];if(f&&s){f.elements.secret.value=s}else if(f){f.elements.secret.type='password'}";
