import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { attestBy } from './testing/attest-by.ts';
import { type CompanyChain, makeCompanyChains } from './testing/company-chains.ts';
import { createOpensslCa } from './testing/openssl-ca.ts';

// Goal: what the PKIs of companies issue is taken as OpenSSL and Go take it; a refusal names the certificate and the rule. The same table
// goes through both of them in test/interop/company-chains.test.ts.

const folder = mkdtempSync(join(tmpdir(), 'company-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const chains = makeCompanyChains(createOpensslCa(folder));

async function answerTo({ caBundle, shown }: CompanyChain): Promise<string> {
  const { outcome, log } = await attestBy({ config: { caBundle }, shown });
  if (outcome === 'attests') return outcome;
  return log.find(({ event }) => event === 'attestation.x509pop.refused')?.problem ?? outcome;
}

describe('a chain of a company', () => {
  it.each(
    chains.map((chain): [string, CompanyChain] => [chain.name, chain]),
  )('with %s is answered', async (_, chain) => {
    if (chain.here === 'attests') expect(await answerTo(chain)).toBe('attests');
    else expect(await answerTo(chain)).toMatch(chain.here);
  });
});
