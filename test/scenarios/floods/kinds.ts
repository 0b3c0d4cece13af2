/** The kinds of floods, and what a flooding process is told. */
export const HTTP2_KINDS = [
  'headers',
  'headers without end',
  'continuation',
  'hpack',
  'reset',
  'settings',
  'ping',
  'priority',
  'window',
] as const;
export const SOCKET_KINDS = ['half-open', 'connect and close'] as const;
export type FloodKind = (typeof HTTP2_KINDS)[number] | (typeof SOCKET_KINDS)[number];
export type Door = { readonly unix: string } | { readonly host: string; readonly port: number };

export interface FloodOrder {
  readonly kind: FloodKind;
  readonly door: Door;
  readonly seconds: number;
  /** Connections that are busy at the same time. */
  readonly atOnce: number;
  /** Connections that are made in all. */
  readonly connectionsMax: number;
}
