import type { performServerHandshake } from 'node:http2';
import { FIELDS_MAX, HEAD_BYTES_MAX } from './request-head.ts';

/** At once. Clients are told, and wait by themselves with more: RFC 9113 §5.1.2. */
export const STREAMS_MAX = 100;

/** How node:http2 serves clients. What it can't be told is counted by frames. */
export const sessionOptions: NonNullable<Parameters<typeof performServerHandshake>[1]> = {
  maxSessionInvalidFrames: 100,
  // One more than may be is told so; many more are not.
  maxHeaderListPairs: FIELDS_MAX + 28,
  maxOutstandingPings: 10,
  // In megabytes.
  maxSessionMemory: 16,
  settings: {
    enablePush: false,
    // Of RFC 8441: nothing here speaks it.
    enableConnectProtocol: false,
    maxConcurrentStreams: STREAMS_MAX,
    maxHeaderListSize: HEAD_BYTES_MAX,
  },
};
