// The functions are programs that are already built: .build/ws/ROUTE/bootstrap.
// Sandbox gives the address of its runtime API in the form that Go's library reads
// only to runtimes with "go" in their name.
module.exports = {
  set: {
    runtimes: () => ({ name: 'gobootstrap', type: 'compiled', build: '.build', baseRuntime: 'provided.al2023' }),
  },
}
