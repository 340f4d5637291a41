// Stands for the browser build of npm centrifuge.
