@app
centrifuge

@aws
runtime gobootstrap

@plugins
gobootstrap

@ws
auth
subscribe
unsubscribe
broadcast
