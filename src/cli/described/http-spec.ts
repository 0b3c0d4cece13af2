import { Type } from 'typebox';

const WrittenRoutes = Type.Array(
  Type.Object({
    name: Type.String(),
    path: Type.String(),
    methods: Type.Optional(Type.Array(Type.String())),
    reads: Type.Optional(Type.Array(Type.String())),
  }),
);

/** What of an HTTP target's spec documents of APIs are about. Its protocol's own schema has checked it. */
export const HttpSpec = Type.Object({
  protocol: Type.Literal('http'),
  url: Type.Union([Type.String(), Type.Array(Type.String())]),
  unlisted: Type.Optional(Type.String()),
  routes: Type.Optional(WrittenRoutes),
});
