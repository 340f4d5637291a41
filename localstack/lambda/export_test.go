package lambda

// RuntimeAPI is the address of the Runtime API.
func (f *Function) RuntimeAPI() string { return f.service.address }
