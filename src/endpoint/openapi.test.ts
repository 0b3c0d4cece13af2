import { Validator } from '@seriousme/openapi-schema-validator';
import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { endpoints } from '../app/endpoint-registry.generated.ts';
import { endpointsOf } from './endpoint.ts';
import { openApiDocument } from './openapi.ts';

// Goal: the document of the API is one by the letter of OpenAPI, and says of every endpoint what it takes and answers.

const closed = { additionalProperties: false } as const;
const act = endpointsOf<unknown>()({
  ...{ name: 'thing.make', summary: 'Makes a thing.', method: 'POST', path: '/v1/boxes/{box}/things' },
  input: Type.Object({ box: Type.String({ description: 'Which box.' }), size: Type.Integer() }, closed),
  output: Type.Object({ made: Type.Boolean() }, closed),
  ...{ idempotent: 'by-key', conditional: true },
  audit: { as: 'Make', target: 'things' },
});
const plain = (value: unknown) => JSON.parse(JSON.stringify(value));

describe('the document', () => {
  it('is OpenAPI 3.1, as a validator of others says', async () => {
    const document = plain(openApiDocument([...endpoints, act]));
    expect(await new Validator().validate(document)).toEqual({ valid: true });
    expect(document.openapi).toMatch(/^3\.1\./);
  });

  it('would not be one with a word in the wrong place', async () => {
    const document = plain(openApiDocument([act]));
    document.paths['/v1/boxes/{box}/things'].post.params = [];
    expect(await new Validator().validate(document)).toMatchObject({ valid: false });
  });

  it('says what an endpoint takes, where, and what it may answer', () => {
    const { post } = plain(openApiDocument([act])).paths['/v1/boxes/{box}/things'];
    expect(post.parameters).toMatchObject([
      { name: 'box', in: 'path', required: true, description: 'Which box.', schema: { type: 'string' } },
      { name: 'If-Match', in: 'header', required: false },
      { name: 'Idempotency-Key', in: 'header', required: false },
    ]);
    expect(post.requestBody).toEqual({
      required: true,
      content: {
        'application/json': {
          schema: {
            ...{ type: 'object', properties: { size: { type: 'integer' } }, required: ['size'] },
            additionalProperties: false,
          },
        },
      },
    });
    expect(Object.keys(post.responses)).toEqual(
      expect.arrayContaining([
        '200',
        '400',
        '401',
        '403',
        '404',
        '408',
        '409',
        '412',
        '413',
        '415',
        '422',
        '429',
        '500',
        '503',
      ]),
    );
    expect(post).toMatchObject({
      'x-countersign-action': 'countersign:thing.make',
      'x-countersign-recorded': true,
    });
  });

  it('is the same in whatever order endpoints come', () => {
    expect(plain(openApiDocument(endpoints.toReversed()))).toEqual(plain(openApiDocument(endpoints)));
  });
});
