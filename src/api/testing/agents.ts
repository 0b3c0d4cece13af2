import { Agent, Entry } from '@countersign/sdk/contract';
import { Code, type TlsIdentity } from '../../rpc/index.ts';
import { parseCertificate } from '../../wire/x509/index.ts';
import { newCsr, type TestServer } from './test-server.ts';

/** What tests do as agents of that server. */
export function agentsOf(server: TestServer) {
  const operator = server.operator();
  /** Attests over an anonymous connection. */
  const attest = async (type: string, payload: string, response = '') => {
    const { csr, key } = newCsr('spiffe://example.org/ignored');
    const call = server.client().bidi(Agent.method.attestAgent, options);
    const value = { data: { type, payload: Buffer.from(payload) }, params: { csr } };
    await call.send({ step: { case: 'params', value } });
    const challenges: string[] = [];
    for await (const { step } of call.responses) {
      if (step.case === 'result') return { result: step.value, challenges, key };
      challenges.push(Buffer.from(step.value ?? []).toString());
      await call.send({ step: { case: 'challengeResponse', value: Buffer.from(response) } });
    }
    throw new Error('the stream ended without a result');
  };
  const identityFrom = async (type: string, payload: string, response = ''): Promise<TlsIdentity> => {
    const { result, key } = await attest(type, payload, response);
    return { chainDer: result.svid?.certChain.map((der) => Buffer.from(der)) ?? [], key };
  };
  return {
    attest,
    identityFrom,
    /** The identity of a new agent that joined with a token. */
    async join(): Promise<TlsIdentity> {
      const { value } = await operator.unary(Agent.method.createJoinToken, { ttl: 60 }, options);
      return identityFrom('join_token', value);
    },
    /** Creates entries under that agent; their ids. */
    async createEntries(agent: TlsIdentity, count: number, more: object = {}): Promise<string[]> {
      const entries = Array.from({ length: count }, (_, i) => ({
        spiffeId: { trustDomain: 'example.org', path: `/workload/${i}` },
        parentId: idOf(agent),
        selectors: [{ type: 'unix', value: `uid:${i}` }],
        ...more,
      }));
      const { results } = await operator.unary(Entry.method.batchCreateEntry, { entries }, options);
      if (results.some(({ status }) => status?.code !== Code.OK)) throw new Error('an entry was refused');
      return results.map(({ entry }) => entry?.id ?? '');
    },
  };
}

/** The SPIFFE ID in that identity's certificate. */
export function idOf({ chainDer }: TlsIdentity): { trustDomain: string; path: string } {
  const [uri = ''] = parseCertificate(chainDer[0] ?? Buffer.alloc(0)).names.uris;
  return { trustDomain: 'example.org', path: uri.slice('spiffe://example.org'.length) };
}

const options = { signal: new AbortController().signal };
