import { isIP } from 'node:net';
import { codeOf } from '../../std/index.ts';
import type { ProxyRefusal } from './answers.ts';
import type { Tunnel } from './connect-head.ts';
import type { ProxiedTarget } from './hosts.ts';

/** What clients of the proxy are refused with, and told. */

export const ANEW = 'start the command anew to be led there';
export const slowHead: ProxyRefusal = {
  ...{ status: 408, reason: 'timeout' },
  title: 'a client of the proxy has not said what it wants',
  hint: 'send a whole request within ten seconds',
};
export const needsTunnel: ProxyRefusal = {
  ...{ status: 400, reason: 'scheme' },
  title: 'a request for an https address came without a tunnel',
  hint: 'have the client open one by CONNECT, or ask for the http address',
};
export const malformed = (status: number, why: string): ProxyRefusal => ({
  ...{ status, reason: 'malformed', title: `what came to the proxy is refused: ${why}` },
  hint: 'send it so that all readers read it alike',
});
export const noName = (host: string): ProxyRefusal => ({
  ...{ status: 403, reason: 'address', title: `${host} is an address or no name of DNS, and has no certificate here` },
  hint: 'ask by http, or for a name that the target lists among its hosts',
});
export const otherPort = ({ host, port }: Tunnel): ProxyRefusal => ({
  ...{ status: 403, reason: 'port', title: `port ${port} of ${host} is not a target's` },
  hint: `ask for https://${bracketed(host)}/ or http://${bracketed(host)}/ without a port; to reach another port beside the target, put ${host}:${port} into NO_PROXY for that client`,
});
export const notATarget = (host: string): ProxyRefusal => ({
  ...{ status: 403, reason: 'no-target', title: `no target lists the host ${host}, and others are refused` },
  hint: 'add it to the hosts of a target, or run the command with --proxy-others pass',
});
export const lateTarget = (host: string, name: string): ProxyRefusal => ({
  ...{
    status: 403,
    reason: 'late',
    title: `target ${name} lists the host ${host} now, and did not when the command started`,
  },
  hint: ANEW,
});
export const noAnswer = (place: Tunnel): ProxyRefusal => ({
  ...{
    status: 502,
    reason: 'answer',
    title: `what ${place.host} port ${place.port} answers is no whole answer of HTTP/1.1`,
  },
  hint: 'look at that server; by https its answers are not read here',
});
export const ambiguous = (host: string, names: readonly string[]): ProxyRefusal => ({
  ...{ status: 403, reason: 'shared-host', title: `the targets ${names.join(' and ')} both list the host ${host}` },
  hint: 'name the one that is meant: countersign run --proxy TARGET -- COMMAND',
});
export const agentAway = ({ name, socket }: ProxiedTarget, error: Error): ProxyRefusal => ({
  ...{ status: 502, reason: 'agent', title: `nobody answers for target ${name} at ${socket} (${codeOf(error)})` },
  hint: 'is an agent running on this machine? Try again when it does',
});
export const farAway = ({ host, port }: Tunnel, error: Error): ProxyRefusal =>
  codeOf(error) === 'NEAR'
    ? {
        ...{ status: 403, reason: 'near', title: `${host} is this machine or its link, where no proxy goes` },
        hint: `put ${host} into NO_PROXY, so that the client goes there by itself`,
      }
    : {
        ...{ status: 502, reason: 'unreachable', title: `${host} port ${port} can not be reached (${codeOf(error)})` },
        hint: 'it is no target of Countersign; look whether it is reached from this machine without the proxy',
      };
const bracketed = (host: string) => (isIP(host) === 6 ? `[${host}]` : host);
