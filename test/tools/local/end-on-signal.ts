/** Is loaded before the service. The worker exits with 1 at SIGUSR2, as it does when a function is stuck. */
if (process.env.MODE === 'worker') process.on('SIGUSR2', () => process.exit(1))
