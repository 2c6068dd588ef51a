// An HTTP server that answers each address five times in ten seconds. Any number of its processes share the count.
import { createServer } from "node:http";
import { createLimiter } from "./limiter.mjs";

const take = createLimiter({ url: process.env.KVSERVER_URL, limit: 5, window: "10s" });

const server = createServer(async (request, response) => {
  try {
    const { allowed, remaining, retryAfter } = await take(request.socket.remoteAddress);
    response.setHeader("RateLimit", `"default";r=${remaining};t=${retryAfter}`);
    if (!allowed) response.writeHead(429, { "Retry-After": Math.max(1, retryAfter) });
    response.end(allowed ? `welcome, ${remaining} left\n` : `too many requests; again in ${retryAfter} s\n`);
  } catch (error) {
    // Without the counter it refuses; you may prefer to allow all requests.
    console.error(error.message);
    response.writeHead(503).end("not available\n");
  }
});
server.listen(process.env.PORT ?? 8080, "127.0.0.1", () => console.log(`http://localhost:${server.address().port}`));
