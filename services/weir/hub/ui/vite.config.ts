import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

// Relative addresses, so that the page works below any base path; nothing is inlined, because the hub's
// Content-Security-Policy allows no inline code or data: addresses.
export default defineConfig({
  base: "./",
  plugins: [preact()],
  build: { outDir: "../static", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { "/api": { target: "http://127.0.0.1:8899", ws: true } } },
});
