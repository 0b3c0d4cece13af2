import type { GatewayInstance } from '../../resources/index.ts';
import { assert } from '../../std/index.ts';
import type { Caller } from '../authorize.ts';
import { invalid } from '../status.ts';
import { parseInstance } from './gateway-report.ts';

/** The process of a gateway that calls, by what its connection has proven and what it says of itself. @throws RpcError INVALID_ARGUMENT */
export function gatewayOf(
  caller: Caller,
  { advertise, instance }: { readonly advertise: string; readonly instance: string },
): GatewayInstance {
  assert(caller.role === 'gateway', 'only gateways speak as gateways');
  return { spiffeId: caller.id.uri, address: parseAdvertised(advertise), instance: parseInstance(instance) };
}

/** `host:port`, an IPv6 address in brackets. @throws RpcError INVALID_ARGUMENT */
function parseAdvertised(text: string): string {
  const match = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[1]);
  if (match === null || port < 1 || port > 65_535) throw invalid('the advertised address is not of the form host:port');
  return text;
}
