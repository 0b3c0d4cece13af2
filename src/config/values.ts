import { Type } from 'typebox';
import { DURATION_PATTERN } from '../std/index.ts';

/** A duration such as `90s`, `15m`, `1h30m`. */
export function durationSchema(options: { description: string; default?: string }) {
  return Type.String({
    ...options,
    pattern: DURATION_PATTERN,
    minLength: 2,
  });
}

/** `host:port`; an IPv6 host stands in brackets. */
export function addressSchema(options: { description: string; default?: string }) {
  return Type.String({
    ...options,
    title: 'host:port',
    examples: ['127.0.0.1:8081'],
    pattern: `^${ADDRESS}$`,
  });
}

/** One `host:port`, or several with commas between them. */
export function addressesSchema(options: { description: string; default?: string }) {
  return Type.String({
    ...options,
    title: 'host:port, or several with commas between them',
    examples: ['a.example:8081,b.example:8081'],
    pattern: `^${ADDRESS}( ?, ?${ADDRESS}){0,15}$`,
  });
}

/** Splits what {@link addressesSchema} has admitted. */
export function parseAddresses(addresses: string): { host: string; port: number }[] {
  return addresses.split(',').map((address) => parseAddress(address.trim()));
}

/** Splits what {@link addressSchema} has admitted. */
export function parseAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

/** 0 to 65535; 0 = any that is free. */
const PORT = '0*(\\d{1,4}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])';
const ADDRESS = `(\\[[0-9a-fA-F:.]+\\]|[^:,\\[\\]\\s]+):(${PORT})`;
