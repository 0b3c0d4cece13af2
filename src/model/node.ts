import type { SpiffeId } from '@countersign/sdk/identity';
import type { Selector } from './selector.ts';

/** An attested node. An empty `serial` means banned. `newSerial` becomes `serial` when first used. Times in epoch seconds. */
export interface AttestedNode {
  readonly spiffeId: SpiffeId;
  readonly attestationType: string;
  /** Serial number of the node's X.509-SVID as a decimal string. */
  readonly serial: string;
  readonly notAfterS: number;
  readonly newSerial: string;
  readonly newNotAfterS: number;
  readonly selectors: readonly Selector[];
  readonly reattestable: boolean;
  readonly agentVersion: string;
}
