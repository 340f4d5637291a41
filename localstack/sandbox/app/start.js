// Starts Architect's sandbox on 127.0.0.1, which its command line does too, but with
// a look for updates and a watch on files. The environment says where it lies
// (SANDBOX), the port of the API (PORT), that of @connections and of the runtime API
// (ARC_INTERNAL_PORT) and what the functions are told (FUNCTION_ENV, JSON).
const { SANDBOX, PORT, ARC_INTERNAL_PORT, FUNCTION_ENV } = process.env
const sandbox = require(SANDBOX)
const params = { cwd: __dirname, host: '127.0.0.1', port: Number(PORT), env: JSON.parse(FUNCTION_ENV), symlink: false }

sandbox.start(params).then(() => {
  if (params.ports._arc !== Number(ARC_INTERNAL_PORT)) throw Error(`port ${ARC_INTERNAL_PORT} is in use`)
  process.on('SIGTERM', () => sandbox.end().then(() => process.exit(0)))
  console.log('sandbox is ready')
}).catch(err => {
  console.error(err)
  process.exit(1)
})
