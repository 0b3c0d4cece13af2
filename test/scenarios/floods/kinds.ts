/** The kinds of floods, the doors they are made at, and what a flooding process is told. */
import type { RoleName } from '../../support/stack-folder.ts';

/** Frames of HTTP/2. At a door that speaks something else they are noise behind a handshake. */
export const FRAME_KINDS = [
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
/** Connections: that stay silent; that begin TLS and say no more; that finish it and go; that go at once. */
export const SOCKET_KINDS = ['half-open', 'half-open tls', 'handshakes', 'connect and close'] as const;
export const KINDS = [...FRAME_KINDS, ...SOCKET_KINDS] as const;
export type FloodKind = (typeof KINDS)[number];

/** Where strangers can connect, and whose door it is: the server's port, the Workload API, the gateway's port for agents, that of a target, and the target's socket at the agent. */
export const ROLE_OF = {
  server: 'server',
  agent: 'agent',
  gateway: 'gateway',
  direct: 'gateway',
  target: 'agent',
} as const satisfies Record<string, RoleName>;
export type DoorName = keyof typeof ROLE_OF;
/** Typed by its only source. */
export const DOORS = Object.keys(ROLE_OF) as readonly DoorName[];

/** How a door is reached. */
export type Way =
  | { readonly unix: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly alpn: string;
      /** Hex: what is said, and answered with one byte, before TLS. */
      readonly before?: string;
    };

export interface FloodOrder {
  readonly kind: FloodKind;
  readonly way: Way;
  /** Own address, where the way is over TCP. */
  readonly from: string;
  readonly seconds: number;
  /** Connections that are busy at the same time. */
  readonly atOnce: number;
  /** Connections that are made in all. */
  readonly connectionsMax: number;
}
