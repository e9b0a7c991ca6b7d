# One image for every mode: MODE is api or worker.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
# Before the sources, so that only a change of the dependencies installs them again.
COPY package.json package-lock.json .npmrc ./
# Type declarations and source maps serve development only.
RUN npm ci --omit=dev --ignore-scripts \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

FROM ${NODE_IMAGE} AS sources
WORKDIR /app
COPY package.json ./
COPY migrations migrations
COPY schema schema
COPY src src
COPY plugins plugins
COPY handlers handlers
COPY cli cli
# Readable for everybody, whatever the umask of the build machine is.
RUN chmod -R a+rX .

FROM ${NODE_IMAGE}
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=sources /app ./
# All files belong to root: the process cannot change them, and writes nowhere.
USER node
EXPOSE 3000
# Uses node:http, because loading fetch takes four times the processor time of a probe.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "require('node:http').get(`http://127.0.0.1:${process.env.PORT}/health/live`, answer => process.exit(answer.statusCode === 200 ? 0 : 1))"]
# Not through npm or a shell, so that SIGTERM reaches Node.js. tools/local/service.ts explains the flags.
CMD ["node", "--min-semi-space-size=16", "--max-semi-space-size=16", "--no-allocation-site-pretenuring", "src/main.ts"]
