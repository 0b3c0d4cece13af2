import type { HttpConfig } from '../config.ts';

/** Where an upstream is. */
export interface Place {
  readonly isSecure: boolean;
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** What its Host field says: without the port where that is the scheme's own. */
  readonly authority: string;
}

/** As a checked config says: at least one. */
export function placesOf({ url }: Pick<HttpConfig, 'url'>): readonly Place[] {
  return urlsOf(url).map((one) => placeOf({ url: one }));
}

/** The addresses of a target. */
export function urlsOf(url: HttpConfig['url']): readonly string[] {
  return typeof url === 'string' ? [url] : url;
}

/** Of one address. */
export function placeOf({ url }: { readonly url: string }): Place {
  const [, scheme = '', written = '', port] = URL_PARTS.exec(url) ?? [];
  const isSecure = scheme.toLowerCase() === 'https';
  const usual = isSecure ? 443 : 80;
  const name = written.toLowerCase();
  return {
    isSecure,
    host: name.startsWith('[') ? name.slice(1, -1) : name,
    port: port === undefined ? usual : Number(port),
    authority: port === undefined || Number(port) === usual ? name : `${name}:${port}`,
  };
}

const URL_PARTS = /^(https?):\/\/(\[[0-9a-f:.]+\]|[^:/?#@[\]]+)(?::(\d{1,5}))?$/i;
