import type { SpiffeId } from '@countersign/sdk/identity';
import type { AttestedNode, RevocationFacts } from '../model/index.ts';
import type { RevocationError, Revocations } from '../revocation/index.ts';
import { sha256 } from '../std/index.ts';
import type { SubjectKey } from '../wire/x509/index.ts';

/** What is being given a credential. */
export interface Signed {
  readonly spiffeId: SpiffeId;
  /** Undefined where no entry gives it: then those of every entry with that SPIFFE ID are meant. */
  readonly entryId?: string;
  /** Whose agent asks for it. */
  readonly node?: AttestedNode;
  readonly publicKeyDer?: SubjectKey | Buffer;
}

/**
 * Keeps what is revoked from being handed out. It is signed first and looked at then, by what the store has after the signature: so what is handed
 * out was signed before every revocation of it was committed, by whichever server, and costs one reading for all that are signed meanwhile.
 */
export interface Signing {
  /** One answer for each: undefined where it may be handed out. @throws StoreError: nothing may be */
  check(signed: readonly Signed[]): Promise<readonly (RevocationError | undefined)[]>;
  /** What `sign` gives, unless it is revoked. @throws RevocationError ERR_REVOCATION_REVOKED; StoreError; what `sign` throws */
  checked<T>(signed: Signed, sign: () => Promise<T>): Promise<T>;
}

/** Creates it. */
export function createSigning(deps: { readonly revocations: Pick<Revocations, 'checkSigned'> }): Signing {
  const factsOf = ({ spiffeId, entryId, node, publicKeyDer }: Signed): RevocationFacts => ({
    ...{ spiffeId: spiffeId.uri, entryId, nodeId: node?.spiffeId.uri },
    thumbprint:
      publicKeyDer && sha256(Buffer.isBuffer(publicKeyDer) ? publicKeyDer : publicKeyDer.spkiDer).toString('hex'),
  });
  const check = (signed: readonly Signed[]) => deps.revocations.checkSigned(signed.map(factsOf));
  return {
    check,
    async checked(signed, sign) {
      const made = await sign();
      const [refusal] = await check([signed]);
      if (refusal !== undefined) throw refusal;
      return made;
    },
  };
}
