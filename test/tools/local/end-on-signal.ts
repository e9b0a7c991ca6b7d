/** Loaded before the service: its worker ends with exit code 1 at SIGUSR2, as it does when a function is stuck. */
if (process.env.MODE === 'worker') process.on('SIGUSR2', () => process.exit(1))
