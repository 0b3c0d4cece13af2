import { openHttpPlace } from '../../../testing/http-place.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const TOKEN = 'Bearer canary-of-the-suite';

/** What the suite of the family must know of this sink. */
export const conformance = {
  async open() {
    const refused = new Set<string>();
    const taken: string[] = [];
    const place = await openHttpPlace(
      ({ body }) => {
        const { data }: { data: { metadata: { uid: string } }[] } = JSON.parse(body);
        const ids = data.map(({ metadata }) => metadata.uid);
        if (ids.some((id) => refused.has(id))) return { status: 400, body: 'no' };
        taken.push(...ids);
        return { status: 204 };
      },
      { isTls: true },
    );
    return {
      config: { url: place.url, secret: 'env:SECRET', authorization: 'env:TOKEN', ca: '/ca.pem' },
      secrets: { 'env:SECRET': SECRET, 'env:TOKEN': TOKEN },
      files: { '/ca.pem': place.ca },
      taken: async () => taken,
      breakIt: place.close,
      mendIt: place.reopen,
      refuse: async (id: string) => void refused.add(id),
      close: place.close,
    };
  },
};
