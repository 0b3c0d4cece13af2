import { parentPort } from 'node:worker_threads';
import { parseCertificateRequest } from '../../src/wire/x509/index.ts';
import { identity, startAuthority, wishes } from './fixture.ts';

const { authority } = await startAuthority();
const asked = wishes(64);

parentPort?.on('message', async (count: number) => {
  for (let index = 0; index < count; index++) {
    const csr = asked[index % asked.length]?.csr ?? Buffer.alloc(0);
    const publicKeyDer = parseCertificateRequest(csr).subjectKey;
    await authority.issueX509Svid({ spiffeId: identity, publicKeyDer, ttlS: 3600, dnsNames: [] });
  }
  parentPort?.postMessage(count);
});
parentPort?.postMessage(0);
