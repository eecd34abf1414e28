import { defineConfig } from "vitest/config";

export default defineConfig({
  // The pages look the hashed names up in the manifest; everything is served under /static/.
  base: "/static/",
  publicDir: false,
  build: {
    outDir: "../slideserver/static",
    emptyOutDir: true,
    manifest: true,
    // The notices that the licences of what is bundled ask to be passed on.
    license: { fileName: "licenses.md" },
    target: "es2022",
    // Inlined assets would need data: URLs in more places than the policy of the pages allows.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { pages: "src/pages.ts", viewer: "src/viewer.ts", deposit: "src/deposit.ts" },
    },
  },
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
  },
});
