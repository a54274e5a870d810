export async function* wire(): AsyncGenerator<never> {}
